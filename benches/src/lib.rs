//! Measurements: micro benches of what decides, and the side-by-side run against other proxies.
