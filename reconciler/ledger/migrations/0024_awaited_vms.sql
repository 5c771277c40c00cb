-- VMs of the specs that were waiting to be made when the fleet was looked at last: none of them is another one renamed.
CREATE TABLE awaited_vm (
    vm TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
