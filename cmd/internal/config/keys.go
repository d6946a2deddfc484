package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// key is one value that the environment or a flag can set.
type key struct {
	name  string // "nats.tls.ca"
	value reflect.Value
}

// variable is the environment's name of the key.
func (k key) variable() string {
	return "CURFEW_" + strings.ToUpper(strings.ReplaceAll(k.name, ".", "_"))
}

// keys lists what c holds outside of lists and maps, in the order of the fields.
func keys(c *Config) []key {
	var all []key
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			name, field := prefix+tagOf(v.Type().Field(i)), v.Field(i)
			switch field.Kind() {
			case reflect.Struct:
				walk(name+".", field)
			case reflect.Map:
			default:
				all = append(all, key{name, field})
			}
		}
	}
	walk("", reflect.ValueOf(c).Elem())
	return all
}

func tagOf(f reflect.StructField) string { return f.Tag.Get("yaml") }

var (
	errWantDuration = errors.New("must be a duration with its unit, as 30s, 5m or 4h")
	errWantInteger  = errors.New("must be a whole number")
	errWantNumber   = errors.New("must be a number")
	errWantBool     = errors.New("must be true or false")
)

// setText sets v from the text of one value. Its errors say what is wanted, without the text: that may be a secret.
func setText(v reflect.Value, text string) error {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(strings.TrimSpace(text))
		if err != nil {
			return errWantDuration
		}
		v.SetInt(int64(d))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, v.Type().Bits())
		if err != nil {
			return errWantInteger
		}
		v.SetInt(n)
	case reflect.Float64:
		f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return errWantNumber
		}
		v.SetFloat(f)
	case reflect.Bool:
		b, err := strconv.ParseBool(strings.TrimSpace(text))
		if err != nil {
			return errWantBool
		}
		v.SetBool(b)
	case reflect.Slice: // of strings: separated by commas
		var list []string
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		v.Set(reflect.ValueOf(list))
	default:
		return fmt.Errorf("cannot be set from text (%s)", v.Kind())
	}
	return nil
}

// Keys lists the keys that the environment and flags can set, as "nats.tls.ca".
func Keys() []string {
	var c Config
	var names []string
	for _, k := range keys(&c) {
		names = append(names, k.name)
	}
	return names
}
