-- What the specs last said about a VM's disks: the mark of a copy that was out of sight may say what they said before.
ALTER TABLE placement ADD COLUMN deletion_policy TEXT;

-- Where VMs that were removed had been put last: copies of that epoch or before, if any come back, are old.
CREATE TABLE removed_vm (
    id INTEGER PRIMARY KEY,
    vm TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    deletion_policy TEXT
) STRICT;
