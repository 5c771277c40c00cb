-- The specs that the fleet was led by, of all controllers that share a ledger, and those of a leader that are in doubt.
-- Who began to record them after an upgrade is not known: whoever comes to lead with the specs of the last pass.
CREATE TABLE led_specs (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    generation TEXT NOT NULL,
    content TEXT NOT NULL,
    controller TEXT NOT NULL,
    doubted TEXT NOT NULL DEFAULT '',
    doubted_content TEXT NOT NULL DEFAULT '',
    doubted_by TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO led_specs (one, generation, content, controller)
SELECT 1, generation, '', '' FROM pass ORDER BY id DESC LIMIT 1;
