// Package config reads what an operator decided: a file, the environment and flags, in rising order of precedence.
//
//	curfew.yaml                 --config FILE, else $CURFEW_CONFIG, else ./curfew.yaml where there is one
//	  < CURFEW_<SECTION>_<KEY>  nats.url is CURFEW_NATS_URL, nats.tls.ca is CURFEW_NATS_TLS_CA; agents only in the file
//	    < flags                 each flag names the key that it sets
//
// It promises that nothing is misread in silence: a key of the file that does not exist, is written twice or does not
// fit its type is an error with its line, all of them are told at once, and a value outside its range is refused with
// the key, where the value came from and what is allowed. A CURFEW_ variable that means nothing only warns, because an
// environment is often shared with other programs.
//
// It does not promise that what is named is there: servers are reached and programs are looked up by whoever uses them.
// Secrets may be kept in files (*_file); they are read here and never appear in an error.
package config
