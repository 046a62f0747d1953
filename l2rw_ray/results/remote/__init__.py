"""Study folders on object stores: addresses, copies, claims."""
