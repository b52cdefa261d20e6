"""What people see: figures, the page of each study, and the one report page."""
