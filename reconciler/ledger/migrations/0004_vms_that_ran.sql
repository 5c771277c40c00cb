-- libvirt forgets how a domain ended; of those placed before, it is not known, so they count as having run.
ALTER TABLE placement ADD COLUMN ran INTEGER NOT NULL DEFAULT 1;
