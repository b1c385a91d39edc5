"""From files to panels to windows."""
