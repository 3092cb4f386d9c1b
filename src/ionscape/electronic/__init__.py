"""Electronic structure of interfaces: layers, states by layer, band edges and their owner, density differences."""
