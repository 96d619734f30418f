"""Services of AWS that hold data, spoken over the wire as botocore's own service models say."""
