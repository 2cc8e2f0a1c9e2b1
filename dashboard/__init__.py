"""The pages for the support desk and the sysadmin."""
