"""What this application's workflows take and return, where the library has no pattern for it."""
