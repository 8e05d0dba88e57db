//! Collects the sections of the instrumented module.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{
    BlockType, BranchHints, CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection,
    Elements, EntityType, ExportKind, ExportSection, FunctionSection, GlobalSection, GlobalType,
    ImportSection, MemorySection, Module, TableSection, TypeSection,
};
use wasmparser::{
    DataKind, ElementItems, ElementKind, ExternalKind, FuncToValidate, FuncType,
    FuncValidatorAllocations, FunctionBody, Operator, Payload, TypeRef, ValType,
    ValidatorResources,
};

use super::analysis::plan;
use super::emit::{Metering, Signature, emit, hints};
use super::error::{Failure, ModuleError};
use super::{
    DEPTH, FUEL, GLOBAL, MEMORY, ModuleLimits, REFILL_MODULE, REFILL_NAME, RESERVED, START,
};
use crate::wasi::HOST_FUNCTIONS;
use crate::wasm::engine::ValType as HostType;
use crate::wasm::specification::{
    BULK_BYTES_PER_FUEL_LOG2, DEPTH_BYTES, MEMORY_PAGE_FUEL, PAGE_BYTES, TABLE_ELEMENT_FUEL, bounds,
};

/// The module name of every import that a program may have.
const HOST_MODULE: &str = "wasi_snapshot_preview1";

/// The sections of the instrumented module, filled in the order of the original.
pub(super) struct Sections {
    rewriter: Rewriter,
    func_types: Vec<FuncType>,
    functions_of_type: Vec<u32>,
    /// The type indices of the block types that wrap bodies with several results.
    wrappers: BTreeMap<u32, u32>,
    start_fuel: u64,
    /// What was paid for the functions so far, and what the job can pay.
    compile_fuel: u64,
    fuel_max: u64,
    /// The pages of the memory and the elements of each table at the start.
    pages: u64,
    elements_of_table: Vec<u64>,
    next_body: usize,
    allocations: FuncValidatorAllocations,
    types: TypeSection,
    imports: ImportSection,
    functions: FunctionSection,
    tables: TableSection,
    memories: MemorySection,
    globals: GlobalSection,
    globals_mutable: Vec<u32>,
    exports: ExportSection,
    has_start: bool,
    has_memory: bool,
    /// The functions that the original exports, which code may therefore refer to.
    exported: Vec<u32>,
    refers: bool,
    elements: ElementSection,
    data_count: Option<u32>,
    hints: BranchHints,
    code: CodeSection,
    data: DataSection,
}

/// Moves function indices behind the added import and bounds memories and tables.
struct Rewriter {
    imports: u32,
    pages_max: u32,
}

impl Reencode for Rewriter {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, reencode::Error> {
        Ok(if function < self.imports { function } else { function + 1 })
    }

    fn memory_type(
        &mut self,
        ty: wasmparser::MemoryType,
    ) -> Result<wasm_encoder::MemoryType, reencode::Error> {
        let mut ty = reencode::utils::memory_type(self, ty);
        let limit = u64::from(self.pages_max);
        ty.maximum = Some(ty.maximum.unwrap_or(limit).min(limit));
        Ok(ty)
    }

    fn table_type(
        &mut self,
        ty: wasmparser::TableType,
    ) -> Result<wasm_encoder::TableType, reencode::Error> {
        let mut ty = reencode::utils::table_type(self, ty)?;
        let limit = u64::from(bounds::TABLE_ELEMENTS_MAX);
        ty.maximum = Some(ty.maximum.unwrap_or(limit).min(limit));
        Ok(ty)
    }
}

impl Sections {
    pub(super) fn new(limits: &ModuleLimits) -> Self {
        let pages_max = limits.memory_pages.min(bounds::MEMORY_PAGES_MAX);
        Self {
            rewriter: Rewriter { imports: 0, pages_max },
            func_types: Vec::new(),
            functions_of_type: Vec::new(),
            wrappers: BTreeMap::new(),
            start_fuel: 0,
            compile_fuel: 0,
            fuel_max: limits.fuel,
            pages: 0,
            elements_of_table: Vec::new(),
            next_body: 0,
            allocations: FuncValidatorAllocations::default(),
            types: TypeSection::new(),
            imports: ImportSection::new(),
            functions: FunctionSection::new(),
            tables: TableSection::new(),
            memories: MemorySection::new(),
            globals: GlobalSection::new(),
            globals_mutable: Vec::new(),
            exports: ExportSection::new(),
            has_start: false,
            has_memory: false,
            exported: Vec::new(),
            refers: false,
            elements: ElementSection::new(),
            data_count: None,
            hints: BranchHints::new(),
            code: CodeSection::new(),
            data: DataSection::new(),
        }
    }

    /// Checks the number of entries that a section announces, before anything is made of it.
    pub(super) fn check_count(&self, payload: &Payload<'_>) -> Result<(), ModuleError> {
        let (what, count, limit) = match payload {
            Payload::TypeSection(reader) => ("types", reader.count(), bounds::TYPES_MAX),
            Payload::ImportSection(reader) => ("imports", reader.count(), bounds::IMPORTS_MAX),
            Payload::FunctionSection(reader) => {
                ("functions", reader.count(), bounds::FUNCTIONS_MAX)
            }
            Payload::TableSection(reader) => ("tables", reader.count(), bounds::TABLES_MAX),
            Payload::GlobalSection(reader) => ("globals", reader.count(), bounds::GLOBALS_MAX),
            Payload::ExportSection(reader) => ("exports", reader.count(), bounds::EXPORTS_MAX),
            Payload::ElementSection(reader) => {
                ("element segments", reader.count(), bounds::ELEMENT_SEGMENTS_MAX)
            }
            Payload::DataSection(reader) => {
                ("data segments", reader.count(), bounds::DATA_SEGMENTS_MAX)
            }
            Payload::CodeSectionEntry(body) => {
                let bytes = body.as_bytes().len();
                return ModuleError::check(
                    "bytes of a function",
                    bytes,
                    bounds::FUNCTION_BYTES_MAX,
                );
            }
            _ => return Ok(()),
        };
        ModuleError::check(what, count, limit)
    }

    /// Takes over one section that the validator accepted.
    pub(super) fn section(&mut self, payload: Payload<'_>) -> Result<(), Failure> {
        match payload {
            Payload::TypeSection(reader) => {
                for ty in reader.clone().into_iter_err_on_gc_types() {
                    self.func_types.push(ty?);
                }
                self.rewriter.parse_type_section(&mut self.types, reader)?;
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    self.import(import?)?;
                }
            }
            Payload::FunctionSection(reader) => {
                for ty in reader {
                    let ty = ty?;
                    self.functions_of_type.push(ty);
                    self.functions.function(ty);
                }
            }
            Payload::TableSection(reader) => self.table_section(reader)?,
            Payload::MemorySection(reader) => self.memory_section(reader)?,
            Payload::GlobalSection(reader) => {
                for (index, global) in (0..).zip(reader.clone()) {
                    let ty = global?.ty;
                    if ty.mutable && !matches!(ty.content_type, ValType::Ref(_)) {
                        self.globals_mutable.push(index);
                    }
                }
                self.rewriter.parse_global_section(&mut self.globals, reader)?;
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    self.export(export?)?;
                }
            }
            Payload::StartSection { func, .. } => {
                let index = self.rewriter.function_index(func)?;
                self.exports.export(START, ExportKind::Func, index);
            }
            Payload::ElementSection(reader) => self.element_section(reader)?,
            Payload::DataCountSection { count, .. } => self.data_count = Some(count),
            Payload::DataSection(reader) => {
                for (index, data) in (0..).zip(reader.clone()) {
                    let data = data?;
                    let bytes = data.data.len() as u64;
                    self.start_fuel += bytes >> BULK_BYTES_PER_FUEL_LOG2;
                    if let DataKind::Active { offset_expr, .. } = data.kind {
                        let end = offset(&offset_expr)?.saturating_add(bytes);
                        let what = ("the data segment", index, "memory");
                        check_inside(what, end, self.pages.saturating_mul(PAGE_BYTES))?;
                    }
                }
                self.rewriter.parse_data_section(&mut self.data, reader)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes over one function body.
    pub(super) fn function(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Result<(), Failure> {
        let imports = self.rewriter.imports;
        let index = function.index;
        let ty = self.functions_of_type.get(self.next_body).copied().unwrap_or(0);
        self.next_body += 1;
        let plan = plan(function, body, imports, &mut self.allocations)?;
        let compile_fuel = self.compile_fuel.saturating_add(plan.compile_fuel);
        let most = bounds::MODULE_COMPILE_FUEL_MAX;
        ModuleError::check("fuel to compile the module", compile_fuel, most)?;
        if compile_fuel > self.fuel_max {
            return Err(ModuleError::OutOfFuel.into());
        }
        self.compile_fuel = compile_fuel;
        self.refers |= plan.refers;
        let signature = self.signature(ty)?;
        let metering = self.metering();
        let emitted = emit(&mut self.rewriter, metering, &plan, body, signature)?;
        let bytes = emitted.function.byte_len();
        let limit = bounds::INSTRUMENTED_FUNCTION_BYTES_MAX;
        ModuleError::check("bytes of an instrumented function", bytes, limit)?;
        if !emitted.hints.is_empty() {
            self.hints.function_hints(index + 1, hints(&emitted.hints));
        }
        self.code.function(&emitted.function);
        Ok(())
    }

    /// Returns what was paid for the functions so far.
    pub(super) const fn compile_fuel(&self) -> u64 {
        self.compile_fuel
    }

    /// Returns the instrumented module.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, ModuleError> {
        if !self.has_start {
            return Err(ModuleError::MissingExport("_start"));
        }
        if !self.has_memory {
            return Err(ModuleError::MissingExport("memory"));
        }
        if self.refers && !self.exported.is_empty() {
            self.elements.declared(Elements::Functions(Cow::Borrowed(&self.exported)));
        }
        let refill_type = self.types.len();
        self.types.ty().function([], []);
        self.imports.import(REFILL_MODULE, REFILL_NAME, EntityType::Function(refill_type));
        let metering = self.metering();
        let counter =
            GlobalType { val_type: wasm_encoder::ValType::I64, mutable: true, shared: false };
        let paid = i64::try_from(self.start_fuel).unwrap_or(i64::MAX);
        self.globals.global(counter, &ConstExpr::i64_const(-paid));
        self.globals.global(counter, &ConstExpr::i64_const(i64::from(DEPTH_BYTES)));
        self.exports.export(FUEL, ExportKind::Global, metering.fuel);
        self.exports.export(DEPTH, ExportKind::Global, metering.depth);
        for index in &self.globals_mutable {
            self.exports.export(&format!("{GLOBAL}{index}"), ExportKind::Global, *index);
        }
        Ok(self.encode())
    }

    fn encode(self) -> Vec<u8> {
        let mut module = Module::new();
        module.section(&self.types).section(&self.imports).section(&self.functions);
        if !self.tables.is_empty() {
            module.section(&self.tables);
        }
        if !self.memories.is_empty() {
            module.section(&self.memories);
        }
        module.section(&self.globals).section(&self.exports);
        if !self.elements.is_empty() {
            module.section(&self.elements);
        }
        if let Some(count) = self.data_count {
            module.section(&DataCountSection { count });
        }
        if !self.hints.is_empty() {
            module.section(&self.hints);
        }
        module.section(&self.code);
        if !self.data.is_empty() {
            module.section(&self.data);
        }
        module.finish()
    }

    fn metering(&self) -> Metering {
        // The counters stand behind the guest's globals, of which none is imported.
        let fuel = self.globals.len();
        Metering {
            fuel,
            depth: fuel + 1,
            refill: self.rewriter.imports,
            pages_max: self.rewriter.pages_max,
            elements_max: bounds::TABLE_ELEMENTS_MAX,
        }
    }

    fn signature(&mut self, ty: u32) -> Result<Signature, Failure> {
        let unknown = || ModuleError::Invalid("unknown function type".to_owned());
        let func = self.func_types.get(ty as usize).ok_or_else(unknown)?;
        let params = u32::try_from(func.params().len()).unwrap_or(u32::MAX);
        let results = match func.results() {
            [] => BlockType::Empty,
            [one] => BlockType::Result(self.rewriter.val_type(*one)?),
            many => {
                let index = match self.wrappers.get(&ty) {
                    Some(index) => *index,
                    None => {
                        let results = self.rewriter.val_types(many.to_vec())?;
                        let index = self.types.len();
                        self.types.ty().function([], results);
                        self.wrappers.insert(ty, index);
                        index
                    }
                };
                BlockType::FunctionType(index)
            }
        };
        Ok(Signature { params, results })
    }

    fn import(&mut self, import: wasmparser::Import<'_>) -> Result<(), Failure> {
        let (module, name) = (import.module.to_owned(), import.name.to_owned());
        let host = HOST_FUNCTIONS.iter().find(|function| function.name == import.name);
        let (Some(host), HOST_MODULE, TypeRef::Func(ty)) = (host, import.module, import.ty) else {
            return Err(ModuleError::UnknownImport { module, name }.into());
        };
        let fits = self.func_types.get(ty as usize).is_some_and(|ty| {
            same_types(ty.params(), host.params) && same_types(ty.results(), host.results)
        });
        if !fits {
            return Err(ModuleError::ImportType { module, name }.into());
        }
        self.imports.import(import.module, import.name, EntityType::Function(ty));
        self.rewriter.imports += 1;
        Ok(())
    }

    fn table_section(&mut self, reader: wasmparser::TableSectionReader<'_>) -> Result<(), Failure> {
        for table in reader.clone() {
            let initial = table?.ty.initial;
            ModuleError::check("elements of a table", initial, bounds::TABLE_ELEMENTS_MAX)?;
            self.start_fuel += initial * TABLE_ELEMENT_FUEL;
            self.elements_of_table.push(initial);
        }
        Ok(self.rewriter.parse_table_section(&mut self.tables, reader)?)
    }

    fn memory_section(
        &mut self,
        reader: wasmparser::MemorySectionReader<'_>,
    ) -> Result<(), Failure> {
        for memory in reader.clone() {
            let initial = memory?.initial;
            ModuleError::check("pages of memory", initial, self.rewriter.pages_max)?;
            self.start_fuel += initial * MEMORY_PAGE_FUEL;
            self.pages = initial;
        }
        Ok(self.rewriter.parse_memory_section(&mut self.memories, reader)?)
    }

    fn element_section(
        &mut self,
        reader: wasmparser::ElementSectionReader<'_>,
    ) -> Result<(), Failure> {
        for (index, element) in (0..).zip(reader.clone()) {
            let element = element?;
            let count = match element.items {
                ElementItems::Functions(items) => items.count(),
                ElementItems::Expressions(_, items) => items.count(),
            };
            self.start_fuel += u64::from(count) * TABLE_ELEMENT_FUEL;
            if let ElementKind::Active { table_index, offset_expr } = element.kind {
                let end = offset(&offset_expr)?.saturating_add(count.into());
                let table = self.elements_of_table.get(table_index.unwrap_or(0) as usize);
                let what = ("the element segment", index, "table");
                check_inside(what, end, table.copied().unwrap_or(0))?;
            }
        }
        Ok(self.rewriter.parse_element_section(&mut self.elements, reader)?)
    }

    /// Checks one export and keeps it if the host uses it.
    fn export(&mut self, export: wasmparser::Export<'_>) -> Result<(), Failure> {
        if export.name.starts_with(RESERVED) {
            return Err(ModuleError::ReservedName(export.name.to_owned()).into());
        }
        if export.kind == ExternalKind::Func {
            self.exported.push(self.rewriter.function_index(export.index)?);
        }
        match (export.name, export.kind) {
            ("_start", ExternalKind::Func) if self.is_plain(export.index) => {
                let index = self.rewriter.function_index(export.index)?;
                self.exports.export("_start", ExportKind::Func, index);
                self.has_start = true;
            }
            ("memory", ExternalKind::Memory) => {
                self.exports.export(MEMORY, ExportKind::Memory, export.index);
                self.has_memory = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether a function is the guest's own and takes and returns nothing.
    fn is_plain(&self, function: u32) -> bool {
        let Some(own) = function.checked_sub(self.rewriter.imports) else { return false };
        let ty = self.functions_of_type.get(own as usize);
        ty.and_then(|ty| self.func_types.get(*ty as usize))
            .is_some_and(|ty| ty.params().is_empty() && ty.results().is_empty())
    }
}

/// Returns where an active segment begins: no program has a global that says so.
fn offset(expression: &wasmparser::ConstExpr<'_>) -> Result<u64, Failure> {
    match expression.get_operators_reader().read()? {
        Operator::I32Const { value } => Ok(value.cast_unsigned().into()),
        _ => Err(ModuleError::Invalid("a segment begins at no constant".to_owned()).into()),
    }
}

/// Checks that a segment ends within what it fills; all that an engine would do is to trap.
const fn check_inside(
    (what, index, of): (&'static str, u32, &'static str),
    end: u64,
    length: u64,
) -> Result<(), ModuleError> {
    if end > length { Err(ModuleError::SegmentOutside { what, index, of }) } else { Ok(()) }
}

fn same_types(found: &[ValType], wanted: &[HostType]) -> bool {
    let same = |(found, wanted): (&ValType, &HostType)| {
        matches!((found, wanted), (ValType::I32, HostType::I32) | (ValType::I64, HostType::I64))
    };
    found.len() == wanted.len() && found.iter().zip(wanted).all(same)
}
