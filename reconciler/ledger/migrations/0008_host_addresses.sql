-- Under which URI a host last answered: one that is silent since its URI was changed is not thereby lost.
ALTER TABLE host_identity ADD COLUMN uri TEXT NOT NULL DEFAULT '';
