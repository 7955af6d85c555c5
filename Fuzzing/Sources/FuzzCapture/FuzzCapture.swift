import FuzzTools
import Wire

// Any bytes as a capture: pcap and pcapng, whole or cut, read in pieces of any size.

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ base: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(unsafe FuzzInput(base, count).rest)
    // The last byte decides, so that real captures are inputs as they are.
    let source = ByteArraySource(bytes, maximumReadByteCount: Int(bytes.last ?? 0) + 1)
    guard var reader = try? CaptureReader(source) else { return 0 }
    var offset: UInt64 = 0
    while let record = try? reader.next() {
        hold(record.range.upperBound <= reader.buffer.count, "a record outside the buffer")
        hold(record.offset >= offset, "a record before the one before")
        offset = record.offset
    }
    return 0
}
