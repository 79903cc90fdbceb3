"""What the campaigns share. Imported as `lib.x` with tests/ on the path; nothing here knows the host's inside."""
