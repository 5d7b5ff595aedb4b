# Load and attack: what takes longer than the suite should.
LOAD := $(O)/tests/load/overload
$(LOAD): $(O)/tests/load/overload.o
	@echo "  LINK  $@"
	@$(CC) -o $@ $< $(LDFLAGS_ALL) -lnghttp2

.PHONY: test-overload test-attack
test-attack: bins $(STUBS) ## attacks on a daemon that another client uses meanwhile
	@$(RUN_TESTS) --e2e tests/attack -- $(E2E)
test-overload: bins $(LOAD) $(STUBS) ## goodput from 1x to 10x of the peak; prints a table
	@$(RUN_TESTS) --e2e tests/load/test_overload.py -- -s $(E2E)
