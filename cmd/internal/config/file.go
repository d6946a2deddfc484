package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// reader puts one YAML file into a Config and notes every problem with its line. The library parses; the walk over
// its tree is ours because a decoder stops at the first unknown key, rounds 1.5 to an integer in silence and prints
// the lines around a mistake, which may hold a password.
type reader struct {
	file     string
	anchors  map[string]ast.Node
	lines    map[string]int // key -> line, for what is found wrong later
	problems []Problem
}

func (r *reader) read(text []byte, c *Config) {
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		r.syntax(err)
		return
	}
	filled := 0
	for _, doc := range tree.Docs {
		if doc.Body == nil {
			continue
		}
		if filled++; filled > 1 {
			r.wrong(doc.Body, "", "a second document: everything belongs into one")
			return
		}
		r.value("", doc.Body, reflect.ValueOf(c).Elem())
	}
}

func (r *reader) syntax(err error) {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		where := fmt.Sprintf("%s:%d", r.file, at.GetToken().Position.Line)
		r.problems = append(r.problems, Problem{Where: where, Text: at.GetMessage()})
		return
	}
	r.problems = append(r.problems, Problem{Where: r.file, Text: "is not YAML"})
}

func (r *reader) wrong(n ast.Node, key, text string) {
	where := fmt.Sprintf("%s:%d", r.file, n.GetToken().Position.Line)
	r.problems = append(r.problems, Problem{Where: where, Key: key, Text: text})
}

// resolve follows anchors, aliases and tags to what they stand for.
func (r *reader) resolve(n ast.Node) ast.Node {
	switch n := n.(type) {
	case *ast.AnchorNode:
		r.anchors[n.Name.GetToken().Value] = n.Value
		return r.resolve(n.Value)
	case *ast.AliasNode:
		if target, ok := r.anchors[n.Value.GetToken().Value]; ok && target != nil {
			return r.resolve(target)
		}
	case *ast.TagNode:
		return r.resolve(n.Value)
	}
	return n
}

// value puts n into v. What is left empty in the file keeps its default.
func (r *reader) value(key string, n ast.Node, v reflect.Value) {
	if key != "" {
		r.lines[key] = n.GetToken().Position.Line
	}
	n = r.resolve(n)
	if _, null := n.(*ast.NullNode); null {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		r.section(key, n, v)
	case reflect.Map:
		r.dict(key, n, v)
	case reflect.Slice:
		r.list(key, n, v)
	default:
		scalar, ok := n.(ast.ScalarNode)
		if !ok {
			r.wrong(n, key, "must be one value, not a list or a section")
			return
		}
		text := fmt.Sprint(scalar.GetValue())
		if _, isString := n.(*ast.StringNode); !isString && v.Kind() == reflect.String {
			text = textOf(n)
		}
		if v.Type() == reflect.TypeFor[time.Duration]() && text == "0" {
			text = "0s" // the one number that needs no unit
		}
		if err := setText(v, text); err != nil {
			r.wrong(n, key, err.Error())
		}
	}
}

// textOf is a scalar as it was written: 0644 or 1.10 given for a string stay that.
func textOf(n ast.Node) string {
	if block, ok := n.(*ast.LiteralNode); ok {
		return block.Value.Value
	}
	return n.GetToken().Value
}

type entry struct {
	name string
	key  ast.Node
	node ast.Node
}

// entries lists a mapping, merged ones (<<) first so that its own keys win.
func (r *reader) entries(key string, n ast.Node) ([]entry, bool) {
	var pairs []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		r.wrong(n, key, "must be a section: keys with values")
		return nil, false
	}
	var merged, own []entry
	for _, pair := range pairs {
		if _, merge := pair.Key.(*ast.MergeKeyNode); merge {
			more, ok := r.entries(key, r.resolve(pair.Value))
			if !ok {
				return nil, false
			}
			merged = append(merged, more...)
			continue
		}
		own = append(own, entry{pair.Key.GetToken().Value, pair.Key, pair.Value})
	}
	return append(merged, own...), true
}

func (r *reader) section(key string, n ast.Node, v reflect.Value) {
	entries, ok := r.entries(key, n)
	if !ok {
		return
	}
	fields := map[string]int{}
	for i := range v.NumField() {
		fields[tagOf(v.Type().Field(i))] = i
	}
	for _, e := range entries {
		i, known := fields[e.name]
		if !known {
			allowed := strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
			r.wrong(e.key, join(key, e.name), "unknown key; known here: "+allowed)
			continue
		}
		r.value(join(key, e.name), e.node, v.Field(i))
	}
}

// dict fills a map; its values start from their defaults.
func (r *reader) dict(key string, n ast.Node, v reflect.Value) {
	entries, ok := r.entries(key, n)
	if !ok {
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for _, e := range entries {
		item := reflect.New(v.Type().Elem()).Elem()
		if item.Type() == reflect.TypeFor[Agent]() {
			item.Set(reflect.ValueOf(defaultAgent()))
		}
		r.value(join(key, e.name), e.node, item)
		v.SetMapIndex(reflect.ValueOf(e.name), item)
	}
}

func (r *reader) list(key string, n ast.Node, v reflect.Value) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		r.wrong(n, key, "must be a list, as [a, b]")
		return
	}
	list := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		r.value(fmt.Sprintf("%s[%d]", key, i), item, list.Index(i))
	}
	v.Set(list)
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}
