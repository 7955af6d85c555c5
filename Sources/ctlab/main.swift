print("ctlab")
