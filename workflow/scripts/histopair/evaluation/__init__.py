"""What runs are worth: metrics, studies and how sure they are."""
