-- How long a host usually takes to be read: a plan waits no longer for one that is silent.
ALTER TABLE host_read ADD COLUMN seconds REAL NOT NULL DEFAULT 0;
