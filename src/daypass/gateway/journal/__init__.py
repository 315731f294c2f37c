"""The gateway's journal: what is sent is written here first, and shipped to the store from here."""
