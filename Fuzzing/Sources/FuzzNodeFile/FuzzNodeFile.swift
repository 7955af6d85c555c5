import FuzzTools
import Scenario

// Any text as a node file.

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ base: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe FuzzInput(base, count)
    guard let text = input.text else { return 0 }
    do {
        _ = try NodeFile.parse(text, file: "fuzz.yaml")
    } catch {
        hold(!error.findings.isEmpty, "refused without a finding")
        for finding in error.findings {
            hold(finding.line >= 1 && finding.column >= 1, "a finding without a place")
        }
    }
    return 0
}
