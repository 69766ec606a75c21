"""Many runs: frozen when the command is typed, each made once, whatever becomes of the others."""
