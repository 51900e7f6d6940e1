"""Options become orders: what is asked for, checked as a whole, with everything at hand that the work needs."""
