package harness

// BuildBridge lets the examples of the outer package use the same program.
func BuildBridge() (string, error) { return buildBridge() }
