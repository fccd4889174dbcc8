package edit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/layout"
	"nautes.io/nautes/internal/mirror"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/references"
	"nautes.io/nautes/internal/schema"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/validate"
)

// verdict is the change of the files by a request that is not refused.
type verdict struct {
	// files holds new contents, and nil for files to remove; none if nothing changes.
	files map[string][]byte
	// object is the object as declared, or nil after a deletion. path is its file.
	object   v1alpha1.Object
	path     string
	blob     string
	warnings []string
	// before and after are the declared states; after is nil if nothing changes.
	before, after *snapshot.Snapshot
	// replayed is the result of a request that was done before, or nil.
	replayed *Result
}

// judge decides about a request, given the files of a view.
func (e *Editor) judge(ctx context.Context, v *View, q Request) (verdict, error) {
	if q.Save == nil {
		return e.judgeDelete(ctx, v, q)
	}
	return e.judgeSave(ctx, v, q)
}

func (e *Editor) judgeSave(ctx context.Context, v *View, q Request) (verdict, error) {
	id := identityOf(q.Save)
	present, _ := v.Get(id.kind, id.name)
	object := declared(q.Save, present.Object, q.Repository.Scope.Namespace)
	ref := references.RefOf(object)
	errs := e.misshapen(object, nil)
	file, err := e.place(v, object)
	if taken := new(TakenError); errors.As(err, &taken) {
		return verdict{}, taken
	}
	if err != nil && len(errs) == 0 {
		errs = append(errs, invalid("metadata.name", v1alpha1.ReasonInvalid, err.Error()))
	}
	if err := precondition(q, cmp.Or(present.Blob, v.entries[file].Blob)); err != nil {
		return verdict{}, fmt.Errorf("%s: %w", ref, err)
	}
	if len(errs) > 0 {
		return verdict{}, &InvalidError{Object: ref, Errors: errs}
	}
	s, err := e.scene(ctx, q.Repository, v, object, tenantAge)
	if err != nil {
		return verdict{}, err
	}
	next := object
	stored, inCluster := s.stored.Stored(object).(v1alpha1.Object)
	if inCluster {
		next = withStatus(object, stored)
		errs = e.misshapen(object, stored)
	}
	broken, warnings := s.rules(q, v, next, inCluster)
	if len(broken) > 0 && !q.Repository.Scope.Tenant {
		// The object that is missed may be in the tenant repository by now.
		if s, err = e.scene(ctx, q.Repository, v, object, 0); err != nil {
			return verdict{}, err
		}
		broken, warnings = s.rules(q, v, next, inCluster)
	}
	if errs = append(errs, broken...); len(errs) > 0 {
		return verdict{}, &InvalidError{Object: ref, Errors: errs}
	}
	result := verdict{object: object, path: file, blob: v.entries[file].Blob, warnings: append(warnings, v.warnings()...), before: s.declared}
	return result, e.write(ctx, v, q, present, &result, next)
}

// write fills in the new contents of files.
func (e *Editor) write(ctx context.Context, v *View, q Request, present Entry, result *verdict, next v1alpha1.Object) error {
	before, err := e.content(ctx, q.Repository, v, cmp.Or(present.Path, result.path))
	if err != nil {
		return err
	}
	enc := encoder{e.Kinds, q.Repository.Scope}
	moved := present.Path != "" && present.Path != result.path
	content, problems, err := enc.encode(result.path, before, result.object)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		ref := references.RefOf(result.object)
		var errs field.ErrorList
		for _, p := range problems {
			errs = append(errs, invalid("", v1alpha1.ReasonInvalid, p.Message))
		}
		return &InvalidError{Object: ref, Errors: errs}
	}
	if !moved && before != nil && bytes.Equal(before, content) {
		return nil
	}
	result.files = map[string][]byte{result.path: content}
	if moved {
		result.files[present.Path] = nil
	}
	result.blob = git.BlobHash(v.revision, content)
	result.after = result.before.With(next)
	return nil
}

// precondition compares the file of an object with the one that the request wants.
func precondition(q Request, blob string) error {
	switch {
	case q.IfMatch == "", q.IfMatch == "*" && blob != "", q.IfMatch == blob && blob != "":
		return nil
	}
	return ErrPrecondition
}

// place returns the path of an object's file, as the layout has it: a file that stands
// elsewhere moves there.
func (e *Editor) place(v *View, o v1alpha1.Object) (string, error) {
	file, err := layout.Path(o)
	if err != nil {
		return "", err
	}
	holder, occupied := v.entries[file]
	switch {
	case !occupied || holder.Object == nil:
		// A file of the object's name that cannot be read is replaced.
		return file, nil
	case identityOf(holder.Object) == identityOf(o):
		return file, nil
	}
	return "", &TakenError{Object: references.RefOf(o), Path: file,
		Reason: fmt.Sprintf("holds %s: rename that file, or choose another name", references.RefOf(holder.Object))}
}

// misshapen returns the errors of an object by itself, in the spelling of the object and
// without values. With the stored object it returns only the errors of the transition.
func (e *Editor) misshapen(o, stored v1alpha1.Object) field.ErrorList {
	value, err := valueOf(o)
	if err != nil {
		return field.ErrorList{invalid("", v1alpha1.ReasonInvalid, "the object cannot be read: correct it")}
	}
	_, alone := e.Kinds.Check(value, nil)
	if stored == nil {
		return described(alone, v1alpha1.ReasonInvalid)
	}
	before, err := asMap(stored)
	if err != nil {
		return field.ErrorList{invalid("", v1alpha1.ReasonInvalid, "the object cannot be read: correct it")}
	}
	after, err := asMap(withStatus(o, stored))
	if err != nil {
		return field.ErrorList{invalid("", v1alpha1.ReasonInvalid, "the object cannot be read: correct it")}
	}
	_, both := e.Kinds.Check(after, before)
	return described(slices.DeleteFunc(both, func(err *field.Error) bool {
		return slices.ContainsFunc(alone, func(other *field.Error) bool { return other.Field == err.Field && other.Detail == err.Detail })
	}), v1alpha1.ReasonDestinationImmutable)
}

// wholeObject is the field of errors about a whole object.
const wholeObject = "<nil>"

func described(errs field.ErrorList, reason string) field.ErrorList {
	var list field.ErrorList
	for _, err := range errs {
		at, detail := err.Field, strings.Replace(err.Detail, err.Field+" in body ", "it ", 1)
		switch {
		case at == wholeObject:
			at = "metadata.name"
		case err.Origin == schema.OriginUnknownField:
			detail = "unknown field: correct or remove it"
		case err.Type == field.ErrorTypeRequired && detail == "":
			detail = "it is missing: set it"
		case err.Type == field.ErrorTypeDuplicate:
			detail = "it is there twice: remove one of the two"
		case err.Type == field.ErrorTypeNotSupported:
			detail = "it is none of the " + detail
		}
		list = append(list, &field.Error{Type: err.Type, Field: at, BadValue: field.OmitValueType{}, Detail: detail, Origin: reason})
	}
	return list
}

func invalid(at, reason, detail string) *field.Error {
	return &field.Error{Type: field.ErrorTypeInvalid, Field: at, BadValue: field.OmitValueType{}, Detail: detail, Origin: reason}
}

// rules checks the rules about other objects, and returns the errors that the request
// does not skip. The object has the status of the stored one.
func (s scene) rules(q Request, v *View, o v1alpha1.Object, stored bool) (field.ErrorList, []string) {
	before, _ := s.declared.Stored(o).(v1alpha1.Object)
	if before != nil && !stored {
		o = o.DeepCopyObject().(v1alpha1.Object)
		o.SetCreationTimestamp(before.GetCreationTimestamp())
	}
	findings, warnings := validate.Check(s.declared, validate.Request{Old: before, New: o})
	var errs field.ErrorList
	for _, f := range findings {
		if !q.SkipReferences || !f.Rule.Skippable() {
			errs = append(errs, &field.Error{Type: f.Type, Field: f.Field, BadValue: field.OmitValueType{}, Detail: f.Detail, Origin: f.Origin})
		}
	}
	for _, c := range s.caused(q.Repository.Scope, v, before, o) {
		if !q.SkipReferences || !c.Rule.Skippable() {
			errs = append(errs, invalid("", c.Origin, fmt.Sprintf("%s would break: %s: %s", c.object, c.Field, c.Detail)))
		}
	}
	return errs, warnings
}

// breakage is an error of another object.
type breakage struct {
	validate.Finding
	object plan.Ref
}

// caused returns the errors that a change brings about in valid objects of the
// repository. Before or after may be nil.
func (s scene) caused(scope layout.Scope, v *View, before, after v1alpha1.Object) []breakage {
	next := s.declared
	if after != nil {
		next = next.With(after)
	} else {
		next = next.Without(before)
	}
	f := finderOf(s.declared, v)
	var readers []plan.Ref
	for _, o := range []v1alpha1.Object{before, after} {
		if o != nil {
			readers = append(readers, references.Readers(f, o, fileKinds(scope)...)...)
		}
	}
	slices.SortFunc(readers, references.Compare)
	var list []breakage
	for _, ref := range slices.Compact(readers) {
		o := f.byRef[ref]
		if o == nil {
			continue
		}
		if was, _ := validate.Check(s.declared, validate.Request{New: o}); len(was) > 0 {
			continue
		}
		is, _ := validate.Check(next, validate.Request{New: o})
		for _, finding := range is {
			list = append(list, breakage{finding, ref})
		}
	}
	return list
}

func (e *Editor) judgeDelete(ctx context.Context, v *View, q Request) (verdict, error) {
	id := identity{q.Delete.Kind, q.Delete.Name}
	present, known := v.Get(id.kind, id.name)
	if !known {
		return e.judgeBroken(v, q, id)
	}
	ref := references.RefOf(present.Object)
	if err := precondition(q, present.Blob); err != nil {
		return verdict{}, fmt.Errorf("%s: %w", ref, err)
	}
	s, err := e.scene(ctx, q.Repository, v, present.Object, tenantAge)
	if err != nil {
		return verdict{}, err
	}
	if !q.SkipReferences {
		users := s.declared.UsersOf(present.Object)
		for _, c := range s.caused(q.Repository.Scope, v, present.Object, nil) {
			users = append(users, c.object)
		}
		slices.SortFunc(users, references.Compare)
		if users = slices.Compact(users); len(users) > 0 {
			return verdict{}, &InUseError{Object: ref, Users: users}
		}
	}
	return verdict{
		files: map[string][]byte{present.Path: nil}, path: present.Path, warnings: v.warnings(),
		before: s.declared, after: s.declared.Without(present.Object),
	}, nil
}

// judgeBroken decides about the deletion of an object whose own file cannot be read. The
// file is known by its name.
func (e *Editor) judgeBroken(v *View, q Request, id identity) (verdict, error) {
	ref := plan.Ref{Kind: id.kind, Namespace: q.Repository.Scope.Namespace, Name: id.name}
	for _, at := range slices.Sorted(maps.Keys(v.entries)) {
		entry := v.entries[at]
		if entry.Object != nil || !ownFile(id, at) {
			continue
		}
		if err := precondition(q, entry.Blob); err != nil {
			return verdict{}, fmt.Errorf("%s: %w", ref, err)
		}
		return verdict{files: map[string][]byte{at: nil}, path: at, warnings: v.warnings()}, nil
	}
	return verdict{}, fmt.Errorf("%s: %w", ref, ErrNotFound)
}

// ownFile reports whether a path is the one of an object's file.
func ownFile(id identity, file string) bool {
	directory := path.Base(path.Dir(file))
	for _, o := range references.Kinds() {
		if references.RefOf(o).Kind != id.kind {
			continue
		}
		o.SetName(id.name)
		switch o := o.(type) {
		case *v1alpha1.ProjectPipelineRuntime:
			o.Spec.Project = directory
		case *v1alpha1.CodeRepoBinding:
			o.Spec.CodeRepo = directory
		}
		own, err := layout.Path(o)
		return err == nil && own == file
	}
	return false
}

// maxWarnings is the number of files with problems that a result lists.
const maxWarnings = 10

// warnings lists files that cannot be read.
func (v *View) warnings() []string {
	var list []string
	for _, p := range v.problems[:min(len(v.problems), maxWarnings)] {
		list = append(list, fmt.Sprintf("file %s, line %d: %s", p.Path, p.Line, p.Message))
	}
	if more := len(v.problems) - maxWarnings; more > 0 {
		list = append(list, fmt.Sprintf("%d more problems of files", more))
	}
	return list
}

// content returns the content of a file of a view, or nil if there is none.
func (e *Editor) content(ctx context.Context, r Repository, v *View, file string) ([]byte, error) {
	blob := v.entries[file].Blob
	if blob == "" {
		return nil, nil
	}
	if content, known := v.contents[blob]; known {
		return content, nil
	}
	contents, err := e.Mirrors.Read(ctx, r.Key, []string{blob})
	return contents[blob], err
}

// with returns a view after the changes of a verdict.
func (v *View) with(result verdict) *View {
	entries, contents := maps.Clone(v.entries), maps.Clone(v.contents)
	if contents == nil {
		contents = map[string][]byte{}
	}
	for file, content := range result.files {
		delete(entries, file)
		if content != nil {
			entries[file] = mirror.Entry{Blob: result.blob, Object: result.object}
			contents[result.blob] = content
		}
	}
	next := newView(v.source, v.revision, v.confirmed, entries)
	next.contents = contents
	return next
}
