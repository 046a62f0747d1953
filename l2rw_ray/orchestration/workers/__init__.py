"""Long-lived Ray Train worker groups that lease trials from the broker and train them."""
