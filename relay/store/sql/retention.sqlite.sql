-- unindex --
-- Take one row of the log out of the search index; :words must be what was put in.
INSERT INTO search (search, rowid, words) VALUES ('delete', :seq, :words)
