-- When a live move of a VM was last given up for taking too long: a plan may shut it down for the next one.
ALTER TABLE placement ADD COLUMN outran_at REAL;
