"""Networks as plain data: what each family is made of. No values, and no JAX."""
