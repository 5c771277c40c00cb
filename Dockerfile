# The controller as a container:
#   docker build -t reconciler .
#   docker run -v ./specs:/etc/reconciler/specs:ro -v reconciler:/var/lib/reconciler reconciler run
# ssh keys and known_hosts for qemu+ssh:// hosts belong into /var/lib/reconciler/.ssh of that volume.
ARG BASE=debian:bookworm-slim

FROM $BASE AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates gcc libc6-dev libvirt-dev pkg-config python3-dev python3-venv
WORKDIR /src
COPY constraints.txt ./
ENV PIP_CONSTRAINT=/src/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1
# A layer of its own: it is compiled, and changes seldom.
RUN python3 -m venv --without-pip /opt/reconciler \
 && python3 -m venv /pip \
 && /pip/bin/pip --python /opt/reconciler/bin/python install --no-compile libvirt-python
COPY pyproject.toml README.md LICENSE ./
COPY reconciler reconciler
RUN /pip/bin/pip --python /opt/reconciler/bin/python install --no-compile .

FROM $BASE
# Left out: manual pages, translations, and the descriptions of all cloud services but those that fence_aws calls.
RUN { printf 'path-exclude=/usr/share/%s/*\n' doc man locale info; \
      printf 'path-exclude=/usr/lib/python3/dist-packages/botocore/data/*/*\n'; \
      printf 'path-include=/usr/lib/python3/dist-packages/botocore/data/%s/*\n' ec2 sts; \
    } >/etc/dpkg/dpkg.cfg.d/small \
 && apt-get update \
 && apt-get install --yes --no-install-recommends \
    ca-certificates fence-agents git ipmitool libvirt0 openssh-client python3 qemu-utils snmp tini tzdata \
 && apt-get clean && rm -rf /var/lib/apt/lists/* \
 && useradd --system --user-group --uid 990 --home-dir /var/lib/reconciler --shell /usr/sbin/nologin reconciler \
 && install --directory --owner=reconciler --group=reconciler --mode=0700 /var/lib/reconciler /var/lib/reconciler/.ssh
COPY --from=build /opt/reconciler /opt/reconciler
ENV PATH=/opt/reconciler/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    RECONCILER_LOG_FORMAT=json \
    RECONCILER_NO_INPUT=1 \
    RECONCILER_SPECS=/etc/reconciler/specs
# By number, so that "must not run as root" can be checked from outside.
USER 990:990
WORKDIR /var/lib/reconciler
VOLUME /var/lib/reconciler
# tini reaps what ssh and fence agents leave behind.
ENTRYPOINT ["tini", "--", "reconciler"]
CMD ["--help"]
