"""What audits of such apps promise after hardening, measured: people on the shop and on its twin, and a soak."""
