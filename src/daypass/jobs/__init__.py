"""Work after the transaction: apply, revoke, deliver, reconcile, expire."""
