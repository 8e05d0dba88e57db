//! Modules put together from bodies of functions, for tests and measurements.

use wasm_encoder::{
    CodeSection, Function, FunctionSection, MemorySection, MemoryType, RefType, TableSection,
    TableType, TypeSection,
};

/// Returns a module with functions of these bodies, of which the first is the program, and a table.
pub(crate) fn module_of(bodies: &[Function]) -> Vec<u8> {
    let mut module = wasm_encoder::Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    bodies.iter().for_each(|_| {
        functions.function(0);
    });
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 1,
        maximum: None,
        shared: false,
    });
    let mut memories = MemorySection::new();
    let memory = MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    };
    memories.memory(memory);
    let mut exports = wasm_encoder::ExportSection::new();
    exports.export("memory", wasm_encoder::ExportKind::Memory, 0);
    exports.export("_start", wasm_encoder::ExportKind::Func, 0);
    let mut code = CodeSection::new();
    bodies.iter().for_each(|body| {
        code.function(body);
    });
    module.section(&types).section(&functions).section(&tables).section(&memories);
    module.section(&exports).section(&code);
    module.finish()
}
