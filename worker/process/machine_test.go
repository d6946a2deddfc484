package process

// machineVar makes this test binary the init of a machine of its own, see machine_linux_test.go.
const machineVar = "CURFEW_TEST_MACHINE"
