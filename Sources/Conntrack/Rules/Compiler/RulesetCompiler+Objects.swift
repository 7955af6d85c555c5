internal import Wire

// What rules hand to packets and connections: zones, labels, timeout policies, helpers.

extension RulesetCompiler {
    mutating func setZone(_ expression: Expression, _ direction: Direction?) throws(Stop) {
        track()
        switch expression.kind {
        case .map(let key, let map):
            let loaded = try load(key, into: 0)
            let table = try mapTable(map, keys: loaded.types, wanted: [.integer16]).table
            emit(.lookUp(0, table: table, into: 0))
        default:
            emit(.constant(0, place(try value(expression, .integer16))))
        }
        emit(.setZone(0, direction))
    }

    mutating func attachTemplate(_ definition: TemplateDefinition) {
        track()
        emit(.attachTemplate(place(definition, in: \.templates)))
    }

    mutating func setObject(
        _ kind: ConnectionObjectSyntax.Kind, named name: String, at position: SourcePosition
    ) throws(Stop) {
        track()
        let objects = syntax.tables[table].objects.filter { $0.kind == kind }
        guard let object = objects.first(where: { $0.name == name }) else {
            throw fail(
                at: position, found: "'\(name)'",
                expected: "a ct \(kind.rawValue) object of the table",
                suggestion: RulesetParser.nearest(to: name, in: objects.map(\.name)))
        }
        switch object.content {
        case .timeout(let definition):
            let index = place(definition, in: \.timeouts)
            emit(.setTimeoutPolicy(index, protocolNumber: definition.protocolNumber))
        case .helper(let definition):
            emit(.setHelper(place(definition, in: \.helpers)))
        }
    }

    /// The definition's index in the program; equal ones share it.
    private mutating func place<Definition: Hashable>(
        _ definition: Definition, in list: WritableKeyPath<RuleProgram, [Definition]>
    ) -> Int32 {
        if let known = ruleset.program[keyPath: list].firstIndex(of: definition) {
            return Int32(known)
        }
        ruleset.program[keyPath: list].append(definition)
        return Int32(ruleset.program[keyPath: list].count - 1)
    }
}
