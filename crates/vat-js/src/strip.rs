//! TypeScript to JavaScript by blanking: what is only for the compiler becomes spaces, so that every line and column of
//! what runs is that of the file. The parsing is `oxc`'s; here is only what to blank.
//!
//! What always holds: line breaks stay; a semicolon stands in where a blanked end or beginning could let two statements
//! run together. What would have to be *translated* (enums, namespaces with values, parameter properties, `import =`)
//! is refused. An import that is only a type must say so (`import type`), as in TypeScript's `verbatimModuleSyntax`.

use oxc_ast::ast::{
    AccessorProperty, ArrowFunctionExpression, CatchParameter, Class, ClassElement, Declaration, ExportAllDeclaration,
    ExportDeclaration, ExportDefaultDeclaration, ExportDefaultDeclarationKind, ExportFromDeclaration,
    ExportNamedDeclaration, Expression, FormalParameter, Function, ImportDeclaration, ImportDeclarationSpecifier,
    ImportOrExportKind, MethodDefinition, MethodDefinitionType, PropertyDefinition, PropertyDefinitionType, Statement,
    TSAsExpression, TSEnumDeclaration, TSExportAssignment, TSImportEqualsDeclaration, TSNamespaceDeclaration,
    TSNamespaceExportDeclaration, TSNonNullExpression, TSSatisfiesExpression, TSThisParameter, TSTypeAnnotation,
    TSTypeAssertion, TSTypeParameterDeclaration, TSTypeParameterInstantiation, VariableDeclarator,
};
use oxc_ast_visit::{Visit, walk};
use oxc_span::{GetSpan, Span};
use oxc_syntax::scope::ScopeFlags;

/// What ends a line in JavaScript.
const LINE_BREAKS: [char; 4] = ['\n', '\r', '\u{2028}', '\u{2029}'];

/// Something that cannot be blanked, at a byte offset.
pub(crate) struct Untranslatable {
    pub(crate) offset: usize,
    pub(crate) what: &'static str,
}

/// The JavaScript of a parsed TypeScript program.
pub(crate) fn strip(source: &str, program: &oxc_ast::ast::Program<'_>) -> Result<String, Untranslatable> {
    let mut eraser = Eraser { source, blanks: Vec::new(), puts: Vec::new(), refused: None };
    eraser.visit_program(program);
    match eraser.refused {
        Some(refused) => Err(refused),
        None => Ok(eraser.apply()),
    }
}

struct Eraser<'s> {
    source: &'s str,
    blanks: Vec<Span>,
    puts: Vec<(usize, char)>,
    refused: Option<Untranslatable>,
}

impl Eraser<'_> {
    fn apply(mut self) -> String {
        self.blanks.sort_by_key(|span| (span.start, span.end));
        self.puts.sort_by_key(|(offset, _)| *offset); // stable: of several at one place, the first counts
        let mut out = String::with_capacity(self.source.len());
        let mut blanks = self.blanks.iter().peekable();
        let mut puts = self.puts.iter().peekable();
        let mut blank_until = 0;
        for (at, c) in self.source.char_indices() {
            while let Some(span) = blanks.next_if(|span| span.start as usize <= at) {
                blank_until = blank_until.max(span.end as usize);
            }
            let put = puts.next_if(|(offset, _)| *offset == at);
            while puts.next_if(|(offset, _)| *offset == at).is_some() {}
            match put {
                Some((_, put)) => out.push(*put),
                None if at >= blank_until || LINE_BREAKS.contains(&c) => out.push(c),
                None => out.push(' '),
            }
        }
        out
    }

    fn blank(&mut self, span: Span) {
        if span.start < span.end {
            self.blanks.push(span);
        }
    }

    /// Blanks something that stood alone between statements or members.
    fn blank_alone(&mut self, span: Span) {
        self.blank(span);
        self.puts.push((span.start as usize, ';'));
    }

    fn refuse(&mut self, span: Span, what: &'static str) {
        self.refused.get_or_insert(Untranslatable { offset: span.start as usize, what });
    }

    fn text(&self, from: u32, to: u32) -> &str {
        &self.source[from as usize..to as usize]
    }

    /// The offset of the next `wanted` from `from`, skipping blanks and comments; `None` if something else comes first.
    fn next(&self, from: u32, wanted: char) -> Option<u32> {
        let mut rest = &self.source[from as usize..];
        loop {
            rest = rest.trim_start();
            rest = if let Some(comment) = rest.strip_prefix("//") {
                comment.find('\n').map_or("", |end| &comment[end..])
            } else if let Some(comment) = rest.strip_prefix("/*") {
                comment.find("*/").map_or("", |end| &comment[end + 2..])
            } else {
                break;
            };
        }
        let at = self.source.len() - rest.len();
        rest.starts_with(wanted).then(|| u32::try_from(at).expect("the parser takes no larger files"))
    }

    fn blank_mark(&mut self, after: u32, mark: char) {
        if let Some(at) = self.next(after, mark) {
            self.blank(Span::new(at, at + 1));
        }
    }

    fn blank_with_comma(&mut self, span: Span) {
        let end = self.next(span.end, ',').map_or(span.end, |comma| comma + 1);
        self.blank(Span::new(span.start, end));
    }

    /// Blanks the modifiers of a class member that only the compiler knows. `end` is where the member's name begins.
    fn blank_modifiers(&mut self, start: u32, end: u32) {
        const MODIFIERS: [&str; 7] = ["public", "private", "protected", "readonly", "override", "abstract", "declare"];
        let text = self.text(start, end).to_owned();
        let mut offset = 0;
        for word in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
            let bare = word.trim_end_matches(|c: char| !c.is_alphanumeric());
            if MODIFIERS.contains(&bare) {
                let at = start + u32::try_from(offset).expect("within the file");
                self.blank(Span::new(at, at + u32::try_from(bare.len()).expect("a short word")));
                if offset == 0 {
                    self.puts.push((at as usize, ';'));
                }
            }
            offset += word.len();
        }
    }

    /// If the last thing of `span` is blanked, a semicolon takes its place, so that the next line cannot go on with it.
    /// What is blanked inside it are the blanks from the number `first` on.
    fn close(&mut self, span: Span, first: usize) {
        if self.blanks[first..].iter().any(|blank| blank.end == span.end && blank.start > span.start) {
            let last = self.text(span.start, span.end).char_indices().next_back();
            if let Some((offset, c)) = last.filter(|(_, c)| !LINE_BREAKS.contains(c)) {
                self.puts.push((span.start as usize + offset, ';'));
                debug_assert!(c != ';', "a semicolon is never part of a type");
            }
        }
    }
}

fn is_type_only(declaration: &Declaration<'_>) -> bool {
    match declaration {
        Declaration::VariableDeclaration(it) => it.declare,
        Declaration::FunctionDeclaration(it) => it.declare || it.body.is_none(),
        Declaration::ClassDeclaration(it) => it.declare,
        Declaration::TSEnumDeclaration(it) => it.declare,
        Declaration::TSNamespaceDeclaration(it) => it.declare,
        Declaration::TSTypeAliasDeclaration(_)
        | Declaration::TSInterfaceDeclaration(_)
        | Declaration::TSExternalModuleDeclaration(_)
        | Declaration::TSGlobalDeclaration(_) => true,
        Declaration::TSImportEqualsDeclaration(it) => it.import_kind == ImportOrExportKind::Type,
    }
}

impl<'a> Visit<'a> for Eraser<'_> {
    fn visit_statement(&mut self, it: &Statement<'a>) {
        if it.as_declaration().is_some_and(is_type_only) {
            return self.blank_alone(it.span());
        }
        let first = self.blanks.len();
        walk::walk_statement(self, it);
        let runs_on = matches!(
            it,
            Statement::ExpressionStatement(_)
                | Statement::VariableDeclaration(_)
                | Statement::ReturnStatement(_)
                | Statement::ThrowStatement(_)
                | Statement::ExportDefaultDeclaration(_)
                | Statement::ExportDeclaration(_)
                | Statement::DoWhileStatement(_)
        );
        if runs_on {
            self.close(it.span(), first);
        }
    }

    fn visit_export_declaration(&mut self, it: &ExportDeclaration<'a>) {
        if is_type_only(&it.declaration) { self.blank_alone(it.span) } else { walk::walk_export_declaration(self, it) }
    }

    fn visit_export_default_declaration(&mut self, it: &ExportDefaultDeclaration<'a>) {
        match &it.declaration {
            ExportDefaultDeclarationKind::TSInterfaceDeclaration(_) => self.blank_alone(it.span),
            ExportDefaultDeclarationKind::FunctionDeclaration(function) if function.body.is_none() => {
                self.blank_alone(it.span);
            }
            _ => walk::walk_export_default_declaration(self, it),
        }
    }

    fn visit_import_declaration(&mut self, it: &ImportDeclaration<'a>) {
        if it.import_kind == ImportOrExportKind::Type {
            return self.blank_alone(it.span);
        }
        for specifier in it.specifiers.iter().flatten() {
            if let ImportDeclarationSpecifier::ImportSpecifier(specifier) = specifier
                && specifier.import_kind == ImportOrExportKind::Type
            {
                self.blank_with_comma(specifier.span);
            }
        }
    }

    fn visit_export_named_declaration(&mut self, it: &ExportNamedDeclaration<'a>) {
        if it.export_kind == ImportOrExportKind::Type {
            return self.blank_alone(it.span);
        }
        for specifier in it.specifiers.iter().filter(|specifier| specifier.export_kind == ImportOrExportKind::Type) {
            self.blank_with_comma(specifier.span);
        }
    }

    fn visit_export_from_declaration(&mut self, it: &ExportFromDeclaration<'a>) {
        if it.export_kind == ImportOrExportKind::Type {
            return self.blank_alone(it.span);
        }
        for specifier in it.specifiers.iter().filter(|specifier| specifier.export_kind == ImportOrExportKind::Type) {
            self.blank_with_comma(specifier.span);
        }
    }

    fn visit_export_all_declaration(&mut self, it: &ExportAllDeclaration<'a>) {
        if it.export_kind == ImportOrExportKind::Type {
            self.blank_alone(it.span);
        }
    }

    fn visit_ts_enum_declaration(&mut self, it: &TSEnumDeclaration<'a>) {
        self.refuse(it.span, "an enum has to be translated, not only stripped; use a frozen object instead");
    }

    fn visit_ts_namespace_declaration(&mut self, it: &TSNamespaceDeclaration<'a>) {
        self.refuse(it.span, "a namespace has to be translated, not only stripped; use a module instead");
    }

    fn visit_ts_import_equals_declaration(&mut self, it: &TSImportEqualsDeclaration<'a>) {
        self.refuse(it.span, "`import =` has to be translated, not only stripped; use `import … from`");
    }

    fn visit_ts_export_assignment(&mut self, it: &TSExportAssignment<'a>) {
        self.refuse(it.span, "`export =` has to be translated, not only stripped; use `export default`");
    }

    /// `export as namespace Name` says how scripts without modules see this one: nothing that runs.
    fn visit_ts_namespace_export_declaration(&mut self, it: &TSNamespaceExportDeclaration<'a>) {
        self.blank_alone(it.span);
    }

    fn visit_ts_type_annotation(&mut self, it: &TSTypeAnnotation<'a>) {
        self.blank(it.span);
    }

    fn visit_ts_type_parameter_declaration(&mut self, it: &TSTypeParameterDeclaration<'a>) {
        self.blank(it.span);
    }

    fn visit_ts_type_parameter_instantiation(&mut self, it: &TSTypeParameterInstantiation<'a>) {
        self.blank(it.span);
    }

    fn visit_ts_this_parameter(&mut self, it: &TSThisParameter<'a>) {
        self.blank_with_comma(it.span);
    }

    fn visit_ts_as_expression(&mut self, it: &TSAsExpression<'a>) {
        self.visit_expression(&it.expression);
        self.blank(Span::new(it.expression.span().end, it.span.end));
    }

    fn visit_ts_satisfies_expression(&mut self, it: &TSSatisfiesExpression<'a>) {
        self.visit_expression(&it.expression);
        self.blank(Span::new(it.expression.span().end, it.span.end));
    }

    fn visit_ts_type_assertion(&mut self, it: &TSTypeAssertion<'a>) {
        self.visit_expression(&it.expression);
        self.blank(Span::new(it.span.start, it.expression.span().start));
    }

    fn visit_ts_non_null_expression(&mut self, it: &TSNonNullExpression<'a>) {
        self.visit_expression(&it.expression);
        self.blank(Span::new(it.expression.span().end, it.span.end));
    }

    fn visit_function(&mut self, it: &Function<'a>, flags: ScopeFlags) {
        walk::walk_function(self, it, flags);
    }

    fn visit_arrow_function_expression(&mut self, it: &ArrowFunctionExpression<'a>) {
        walk::walk_arrow_function_expression(self, it);
        // No line break may stand between `async` and `(`: the parenthesis moves to the beginning of the types.
        if let Some(types) = it.type_parameters.as_ref().filter(|_| it.r#async) {
            let open = it.params.span.start;
            if self.text(types.span.start, open).contains(LINE_BREAKS) {
                self.blank(Span::new(open, open + 1));
                self.puts.push((types.span.start as usize, '('));
            }
        }
        // None may stand between `)` and `=>`: the parenthesis moves to the end of the type.
        let Some(returns) = &it.return_type else { return };
        let close = it.params.span.end - 1;
        if self.text(close, returns.span.end).contains(LINE_BREAKS) {
            self.blank(Span::new(close, close + 1));
            if let Some((offset, _)) = self.text(returns.span.start, returns.span.end).char_indices().next_back() {
                self.puts.push((returns.span.start as usize + offset, ')'));
            }
        }
    }

    fn visit_formal_parameter(&mut self, it: &FormalParameter<'a>) {
        if it.accessibility.is_some() || it.readonly || it.r#override {
            self.refuse(it.span, "a parameter property has to be translated, not only stripped; assign it in the body");
        }
        if it.optional {
            self.blank_mark(it.pattern.span().end, '?');
        }
        walk::walk_formal_parameter(self, it);
    }

    fn visit_catch_parameter(&mut self, it: &CatchParameter<'a>) {
        walk::walk_catch_parameter(self, it);
    }

    fn visit_variable_declarator(&mut self, it: &VariableDeclarator<'a>) {
        if it.definite {
            self.blank_mark(it.id.span().end, '!');
        }
        walk::walk_variable_declarator(self, it);
    }

    fn visit_class(&mut self, it: &Class<'a>) {
        if it.r#abstract {
            let from = it.decorators.last().map_or(it.span.start, |decorator| decorator.span.end);
            if let Some(offset) = self.text(from, it.body.span.start).find("abstract") {
                let at = from + u32::try_from(offset).expect("within the file");
                self.blank(Span::new(at, at + 8));
            }
        }
        if let (Some(first), Some(last)) = (it.implements.first(), it.implements.last()) {
            let before = self.text(it.span.start, first.span.start).rfind("implements").unwrap_or(0);
            let start = it.span.start + u32::try_from(before).expect("within the file");
            self.blank(Span::new(start, last.span.end));
        }
        walk::walk_class(self, it);
    }

    fn visit_class_element(&mut self, it: &ClassElement<'a>) {
        if let ClassElement::TSIndexSignature(signature) = it {
            return self.blank_alone(signature.span);
        }
        walk::walk_class_element(self, it);
    }

    fn visit_method_definition(&mut self, it: &MethodDefinition<'a>) {
        if it.r#type == MethodDefinitionType::TSAbstractMethodDefinition || it.value.body.is_none() {
            return self.blank_alone(it.span);
        }
        self.blank_modifiers(it.decorators.last().map_or(it.span.start, |last| last.span.end), it.key.span().start);
        if it.optional {
            self.blank_mark(it.key.span().end + u32::from(it.computed), '?');
        }
        walk::walk_method_definition(self, it);
    }

    fn visit_property_definition(&mut self, it: &PropertyDefinition<'a>) {
        if it.declare || it.r#type == PropertyDefinitionType::TSAbstractPropertyDefinition {
            return self.blank_alone(it.span);
        }
        self.blank_modifiers(it.decorators.last().map_or(it.span.start, |last| last.span.end), it.key.span().start);
        let name_ends = if it.computed {
            self.next(it.key.span().end, ']').map_or(it.key.span().end, |bracket| bracket + 1)
        } else {
            it.key.span().end
        };
        if it.optional {
            self.blank_mark(name_ends, '?');
        }
        if it.definite {
            self.blank_mark(name_ends, '!');
        }
        let first = self.blanks.len();
        walk::walk_property_definition(self, it);
        self.close(it.span, first);
    }

    fn visit_accessor_property(&mut self, it: &AccessorProperty<'a>) {
        self.refuse(it.span, "the engine does not have accessor properties");
    }

    fn visit_expression(&mut self, it: &Expression<'a>) {
        walk::walk_expression(self, it);
    }
}
