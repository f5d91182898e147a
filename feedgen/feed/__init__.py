"""The contract between those who make feeds and those who serve them."""
