"""Several controllers, one leader: a lease in etcd, held by who may change anything."""
