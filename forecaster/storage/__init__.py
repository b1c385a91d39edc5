"""Where data is: files and their locks, databases, object stores."""
