"""Every test of Daypass: against real servers, never a fake one."""
