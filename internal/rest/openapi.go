package rest

import (
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// apiConfig returns the settings of the OpenAPI document. There is no page that loads
// scripts of other sites, and no key is added to replies.
func apiConfig() huma.Config {
	c := huma.DefaultConfig("Nautes", "v1")
	c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", nil
	c.Info.Description = "Products and everything in them, as commits in Git. The credential is an access token of the forge, whose rights decide."
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer", Description: "A personal or OAuth access token of the forge."}}
	c.Security = []map[string][]string{{"token": {}}}
	return c
}

// OpenAPI returns the OpenAPI document in YAML.
func OpenAPI() ([]byte, error) {
	s := New(Options{})
	return s.api.OpenAPI().YAML()
}

var pathParameters = regexp.MustCompile(`\{([^}]+)\}`)

// describe returns the operation in the OpenAPI document.
func (op *operation) describe(schemas huma.Registry) *huma.Operation {
	o := &huma.Operation{
		OperationID: op.id, Method: op.method, Path: op.path, Summary: op.summary, Tags: []string{op.resource.kind},
		Responses: map[string]*huma.Response{},
	}
	for _, m := range pathParameters.FindAllStringSubmatch(op.path, -1) {
		o.Parameters = append(o.Parameters, &huma.Param{Name: m[1], In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}})
	}
	for _, name := range op.parameters() {
		o.Parameters = append(o.Parameters, op.parameter(name))
	}
	bodyType := reflect.TypeOf(op.resource.body()).Elem()
	reply := reflect.TypeFor[saved]()
	switch {
	case op.list:
		o.Responses["200"] = &huma.Response{Description: "The resources, ordered by name.", Content: content(listSchema(schemas, bodyType))}
		if op.query[queryWatch] != "" {
			o.Responses["200"].Content["text/event-stream"] = &huma.MediaType{Schema: eventSchema(schemas, bodyType)}
			o.Parameters = append(o.Parameters, &huma.Param{
				Name: "Last-Event-ID", In: "header", Schema: &huma.Schema{Type: huma.TypeString}, Description: "The id of the last event, to watch on from there.",
			})
		}
	case op.write:
		o.Parameters = append(o.Parameters, op.headers()...)
		o.Responses["200"] = &huma.Response{Description: "Done.", Content: content(schemas.Schema(reply, true, ""))}
		if op.method == http.MethodPost {
			o.RequestBody = &huma.RequestBody{Required: true, Content: content(schemas.Schema(bodyType, true, ""))}
		}
	default:
		o.Responses["200"] = &huma.Response{
			Description: "The resource. ETag is the id of its file's content.", Content: content(schemas.Schema(bodyType, true, "")),
			Headers: map[string]*huma.Param{"ETag": {Schema: &huma.Schema{Type: huma.TypeString}}},
		}
	}
	for _, status := range op.failures() {
		o.Responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status),
			Content:     map[string]*huma.MediaType{problemType: {Schema: schemas.Schema(reflect.TypeFor[Problem](), true, "")}},
		}
	}
	return o
}

func content(schema *huma.Schema) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{"application/json": {Schema: schema}}
}

func listSchema(schemas huma.Registry, item reflect.Type) *huma.Schema {
	schema := huma.SchemaFromType(schemas, reflect.TypeFor[page[struct{}]]())
	properties := map[string]*huma.Schema{}
	for key, s := range schema.Properties {
		properties[key] = s
	}
	properties["items"] = &huma.Schema{Type: huma.TypeArray, Items: schemas.Schema(item, true, "")}
	return &huma.Schema{Type: huma.TypeObject, Properties: properties, Required: []string{"items"}}
}

// eventSchema describes the data of an event.
func eventSchema(schemas huma.Registry, object reflect.Type) *huma.Schema {
	schema := huma.SchemaFromType(schemas, reflect.TypeFor[event]())
	properties := map[string]*huma.Schema{}
	for key, s := range schema.Properties {
		properties[key] = s
	}
	properties["object"] = schemas.Schema(object, true, "")
	return &huma.Schema{Type: huma.TypeObject, Properties: properties, Required: []string{"type"}}
}

// failures returns the statuses of problems that an operation can answer with.
func (op *operation) failures() []int {
	all := []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
	if op.list {
		return append(all, http.StatusGone)
	}
	if op.write {
		all = append(all, http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity)
	}
	if op.method == http.MethodPost {
		all = append(all, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	return all
}

func (op *operation) headers() []*huma.Param {
	if op.resource.parts == nil {
		return nil
	}
	text := &huma.Schema{Type: huma.TypeString}
	return []*huma.Param{
		{Name: "If-Match", In: "header", Schema: text, Description: "ETag that the resource must have, or * for any."},
		{Name: "Idempotency-Key", In: "header", Schema: text, Description: "A repeated request with the same key answers what the first one did. The key is kept in the commit."},
		{Name: "Prefer", In: "header", Schema: text, Description: "wait=<seconds>, at most 45, waits until the tenant cluster has mirrored the change; with until=ready, until the resource is ready or stalled."},
	}
}

// parameter describes a query parameter.
func (op *operation) parameter(name string) *huma.Param {
	p := &huma.Param{Name: name, In: "query", Schema: &huma.Schema{Type: huma.TypeString}}
	switch name {
	case querySkip:
		p.Schema.Type = huma.TypeBoolean
		p.Description = "Leave out the rules between resources, so that resources can come in any order. Borders of products and the shape of the body still hold."
	case queryDryRun:
		p.Schema.Type = huma.TypeBoolean
		p.Description = "Judge the request and answer what it would change, without changing anything."
	case queryDeleteProject:
		p.Schema.Type = huma.TypeBoolean
		p.Description = "Delete the repository with its source code in the forge too."
	case queryLimit:
		p.Schema.Type = huma.TypeInteger
		p.Description = "Number of items of a page; all items without it."
	case queryContinue:
		p.Description = "The continue of the page before."
	case queryWatch:
		p.Schema.Type = huma.TypeBoolean
		p.Description = "Answer with server-sent events: the resources, and then each change of them."
	case querySelector:
		var fields []string
		for field := range op.resource.selectors {
			fields = append(fields, field)
		}
		slices.Sort(fields)
		p.Description = "Terms field=value, separated by commas, of which all must hold. Fields: " + strings.Join(fields, ", ") + "."
	}
	return p
}
