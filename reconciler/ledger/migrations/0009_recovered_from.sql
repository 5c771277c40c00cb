-- A recovered VM may still be on its former host until it is seen to run where it was put.
ALTER TABLE placement ADD COLUMN came_from TEXT;
-- As last seen: a copy that its host starts by itself may run again as soon as the host does.
ALTER TABLE placement ADD COLUMN autostart INTEGER NOT NULL DEFAULT 0;
