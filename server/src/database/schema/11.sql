-- `.git` at the end of a repository's URL makes no other one of it, unless it is a directory. Where both are here the old one stays as it is:
-- its pipelines are seen as before, and what is new goes to the other.
UPDATE repositories SET url = substr(url, 1, length(url) - 4)
WHERE length(url) > 12 AND substr(url, length(url) - 3) = '.git' AND substr(url, 1, 5) <> 'file:'
    AND substr(url, length(url) - 4, 1) <> '/' AND substr(url, length(url) - 7) <> '.git.git'
    AND NOT EXISTS (SELECT 1 FROM repositories o WHERE o.url = substr(repositories.url, 1, length(repositories.url) - 4));
