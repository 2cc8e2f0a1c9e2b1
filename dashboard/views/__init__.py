"""The pages, one module per noun: read what is asked, one look into the store, fill the template."""
