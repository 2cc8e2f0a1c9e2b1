"""The pages as people meet them: a real browser, real clicks, and a house full of mail."""
