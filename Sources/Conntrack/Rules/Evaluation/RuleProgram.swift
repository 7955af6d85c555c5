internal import Wire

/// A compiled ruleset's constant part.
struct RuleProgram: Sendable {
    struct Chain: Sendable, BitwiseCopyable {
        /// Into `rules`.
        var first: Int32
        var end: Int32
        /// Base chains: `policy drop`.
        var dropsByDefault: Bool
    }

    struct Rule: Sendable, BitwiseCopyable {
        /// Into `instructions`.
        var first: Int32
        var end: Int32
    }

    var chains: [Chain] = []
    var rules: [Rule] = []
    var instructions: [Instruction] = []
    var constants: [Address] = []
    var interfaceMasks: [InterfaceMask] = []
    var tables = ElementTables()
    var generators: [NumberGenerator] = []
    var hashes: [HashExpression] = []
    var limits: [RateLimit] = []
    var logs: [RuleLog] = []
    /// Whether there is a `reject` in it.
    var rejects = false
    var translations: [Translation] = []
    var timeouts: [TimeoutDefinition] = []
    var helpers: [HelperDefinition] = []
    var templates: [TemplateDefinition] = []
    var sets: [DynamicSet] = []
    var updates: [SetUpdate] = []
    /// What the node's addresses are to it; the node fills it in.
    var addressTypes = AddressTypes()
}

/// The values a rule works on while it runs: room for two keys of the widest concatenation.
struct RegisterFile: BitwiseCopyable {
    static let count = 2 * RulesetLimits.concatenatedFields

    private var values = InlineArray<16, Address>(
        repeating: Address(high: 0, low: 0))

    /// Register numbers are the compiler's and stay below `count`.
    subscript(register: Register) -> Address {
        get { values[Int(register & 15)] }
        set { values[Int(register & 15)] = newValue }
    }
}
