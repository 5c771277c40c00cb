-- The host that a VM was moved away from when that was emptied, until it goes elsewhere for another reason.
ALTER TABLE placement ADD COLUMN drained_from TEXT;
