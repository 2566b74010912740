"""What a graph may do: entitlements, granted, kept and checked."""
