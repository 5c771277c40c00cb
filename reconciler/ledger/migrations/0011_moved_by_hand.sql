-- Of a VM that people moved: the epoch in its mark, until that has the one that the move was given.
ALTER TABLE placement ADD COLUMN marked_epoch INTEGER;
