-- What the specs that the fleet was led by restrain, as JSON: in doubt, older ones may do no more than they allow.
ALTER TABLE led_specs ADD COLUMN restraints TEXT NOT NULL DEFAULT '';
